"""Exports: accepted rows of runs in the layouts that trainers read, each written aside and then put in its place (layer 4)."""
