"""The pages that a person uses, in a real browser: Chromium, headless, over a live deployment."""
