"""One page that shows how good a model is: self-contained HTML that opens offline."""

from bothways.report.page import Report, check_report_file, write_report
from bothways.report.words import baseline_words, importance_words, verdict, warnings

__all__ = ["Report", "baseline_words", "check_report_file", "importance_words", "verdict", "warnings", "write_report"]
