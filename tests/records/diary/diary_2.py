from alembic import op

revision = "diary_2"
down_revision = "diary_1"


def upgrade() -> None:
    op.execute("CREATE TABLE moods (note TEXT REFERENCES notes (text) ON DELETE CASCADE, mood TEXT)")
    op.execute("INSERT INTO moods SELECT text, 'fine' FROM notes")
