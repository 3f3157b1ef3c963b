"""EAS's own service descriptions: read into a stack file, and written from one.  Note: docs/designs/eas-import.md

    imported = import_service(json.loads(text))        # a service, a report on every field, the secrets
    exported = export_service("chat", imported.service)

Everything is read into EAS's documented form first; `normalise` is that form.
"""

from infra.stackfile.eas.exporting import Exported, export_service
from infra.stackfile.eas.importing import Imported, import_service
from infra.stackfile.eas.normalise import normalise
from infra.stackfile.eas.report import Item, Outcome

__all__ = ["Exported", "Imported", "Item", "Outcome", "export_service", "import_service", "normalise"]
