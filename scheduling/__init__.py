"""Recurring and one-off schedules: which ticks are due, who fires them, and how far each has come."""
