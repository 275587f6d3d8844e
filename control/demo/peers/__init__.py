"""The outside world of the demo, for real and on loopback: a mailbox, its IMAP server, a webhook receiver."""
