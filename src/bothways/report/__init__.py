"""One page that shows how good a model is: self-contained HTML that opens offline."""

from bothways.report.content import Epoch, Report
from bothways.report.page import check_report_file, write_report

__all__ = ["Epoch", "Report", "check_report_file", "write_report"]
