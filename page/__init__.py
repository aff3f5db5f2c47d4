"""What stands behind web_demo.py: what is handed in and its limits, networks that are kept open, what is shown. Knows no Gradio."""
