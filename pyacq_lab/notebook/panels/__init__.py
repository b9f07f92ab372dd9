"""Panels of hosts, processes and logs."""

from pyacq_lab.notebook.panels.logoutput import LogOutput
from pyacq_lab.notebook.panels.logview import LogView
from pyacq_lab.notebook.panels.managerpanel import ManagerPanel
from pyacq_lab.notebook.panels.statushtml import manager_html, manager_text

__all__ = ["LogOutput", "LogView", "ManagerPanel", "manager_html", "manager_text"]
