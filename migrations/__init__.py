"""Database migrations (Alembic), each revision running its own SQL files."""
