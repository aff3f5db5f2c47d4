"""Frames in, results out: pictures, folders, videos, cameras, and what is written of them."""
