//! The webhooks that accounts need: set up, checked, switched on again.
