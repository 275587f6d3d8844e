"""Callboard against stock Dramatiq's RedisBroker: the same server, the same run, one round each in turn."""
