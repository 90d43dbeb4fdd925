"""Teachback: teach your LLM application from its users, and prove that the lesson helped."""
