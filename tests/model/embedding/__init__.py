"""Tests of model/embedding."""
