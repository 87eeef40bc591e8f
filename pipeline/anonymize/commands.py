"""The two commands of ``anonymize.py``, from a checked configuration to an exit code."""

from __future__ import annotations

import logging
import warnings

from pipeline.config.schema import AnonymizeConfig, VerifyOutputConfig


def anonymize(config: AnonymizeConfig) -> int:
    """Anonymize a folder and print what was done."""
    from pipeline.anonymize.console import Progress, print_summary
    from pipeline.anonymize.folder import anonymize_folder

    _quiet_decoders()
    with Progress("anonymizing") as progress:
        summary = anonymize_folder(config, watch=progress)
    print_summary(summary)
    return summary.exit_code


def verify(config: VerifyOutputConfig) -> int:
    """Look at an output again and print what was found."""
    from pipeline.anonymize.console import Progress, print_verification
    from pipeline.anonymize.recheck import verify_folder

    _quiet_decoders()
    with Progress("verifying") as progress:
        verification = verify_folder(config, watch=progress)
    print_verification(verification)
    return verification.exit_code


def _quiet_decoders() -> None:
    """What libraries say of a damaged file goes into the manifest, not across the progress bar."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"PIL\b")
