"""When a schedule fires: pure arithmetic of cron, intervals, zones and calendars. No clock is read here."""
