"""One replica of one version: protocols x engines behind an aiohttp app."""
