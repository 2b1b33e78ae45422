"""The server: who is in a picture, over HTTP. The extra `mien[server]` installs what it needs."""
