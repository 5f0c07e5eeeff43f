"""The module's old name, which some QA files still import."""

from tritonclient.utils import *  # noqa: F401,F403
