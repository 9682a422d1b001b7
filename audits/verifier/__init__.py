"""The program that checks a report or bundle offline, and what to read first; both go into every bundle as text."""
