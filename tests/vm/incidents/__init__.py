# SPDX-License-Identifier: MIT
"""What happens inside one machine, and what must not have happened to the pair because of it."""
