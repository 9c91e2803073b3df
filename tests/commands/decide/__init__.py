"""Tests of commands/decide."""
