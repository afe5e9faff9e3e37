"""Tests of alerts: decided and worded without a clock, sent to a Slack on loopback."""
