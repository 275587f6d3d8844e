"""What operators and clients use: the service (every rule, once) and its thin faces."""
