"""SQL: audit rows, mailboxes, webhook deliveries, report files. SQLite or PostgreSQL."""
