# SPDX-License-Identifier: MIT
"""What a person sees of a running pair: what the agent knows -> a page of text -> a terminal."""
