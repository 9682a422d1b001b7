"""The event journal; usable without explorer and audits."""
