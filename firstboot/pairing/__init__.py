# SPDX-License-Identifier: MIT
"""How two machines that were never set up find each other, make sure of it, and talk in private."""
