from alembic import op

revision = "diary_3"
down_revision = "diary_2"


def upgrade() -> None:
    op.execute("CREATE TABLE later (text TEXT NOT NULL PRIMARY KEY, number INTEGER NOT NULL)")
    op.execute("INSERT INTO later SELECT text, row_number() OVER (ORDER BY text) FROM notes")
    op.execute("DROP TABLE notes")
    op.execute("ALTER TABLE later RENAME TO notes")
