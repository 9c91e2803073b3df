"""Tests of commands/check."""
