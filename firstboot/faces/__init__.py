# SPDX-License-Identifier: MIT
"""How the wizard is drawn. A face turns the model into text and keys into answers; it decides
nothing.
"""
