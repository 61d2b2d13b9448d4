"""Training records from what an organisation has: its documents, what its users said of answers,
and tables of questions. Each passage that comes from a collection knows its document and version.
"""

from eval.tuning_data.documents import from_documents
from eval.tuning_data.feedback import from_feedback
from eval.tuning_data.held import Held, held_passages, lineage
from eval.tuning_data.table import from_csv

__all__ = ["Held", "from_csv", "from_documents", "from_feedback", "held_passages", "lineage"]
