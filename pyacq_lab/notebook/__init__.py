"""What people see: the only importer of ipywidgets, anywidget, bokeh and IPython."""
