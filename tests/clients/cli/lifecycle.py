"""Deleting and what undoes it, which is the same for every kind of object."""


def deleted_and_brought_back(suite, kind, name):
    """Drives it all for an object that is there. Gives it as recovered, and as restored."""
    def drive(command, *arguments, **options):
        return suite.drive(f"keyvault {kind} {command}", *arguments, **options)

    backup = suite.file(f"{kind}.backup")
    drive("backup", "-n", name, "--file", backup)
    gone = drive("delete", "-n", name)
    recovery = suite.id(f"deleted{kind}s/{name}")
    suite.check(gone["recoveryId"] == recovery, "a link of this host")
    shown = drive("show-deleted", "-n", name)
    suite.check(shown["scheduledPurgeDate"], "the deleted one, with a date")
    suite.check(name in [each["name"] for each in drive("list-deleted")], "among the deleted")
    recovered = drive("recover", "-n", name)
    drive("delete", "-n", name, variant="once more")
    recovered_again = drive("recover", "--id", recovery, variant="by recovery id")
    suite.check(recovered_again["attributes"] == recovered["attributes"], "the same")
    drive("delete", "-n", name, variant="for good")
    drive("purge", "--id", recovery, variant="by recovery id")
    drive("show-deleted", "-n", name, variant="that is purged", expect=1)
    return recovered, drive("restore", "--file", backup)
