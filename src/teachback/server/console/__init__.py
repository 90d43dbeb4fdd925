"""The console: server-rendered pages for the people who read and judge feedback."""
