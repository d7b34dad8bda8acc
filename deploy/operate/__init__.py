"""Operators' tools: how far behind, what is parked, what is wrong, and facts published again from the journals."""
