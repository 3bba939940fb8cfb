"""The texts that hooks give to models."""
