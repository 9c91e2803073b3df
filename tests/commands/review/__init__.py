"""Tests of commands/export."""
