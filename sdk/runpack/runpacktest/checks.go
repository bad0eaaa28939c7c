package runpacktest

// checks run against every target, also the sinks of the kit's own tests.
var checks = []check{
	{"Bytes", "files come back byte for byte, in order, with sums, tags and key", checkBytes},
	{"FileCount", "a bundle holds MaxFiles files and no more", checkFileCount},
	{"InvisibleBeforeFinish", "nobody sees an unfinished bundle", checkInvisible},
	{"SameBytesSameURI", "identical bytes for the same key answer the same URI", checkSameBytes},
	{"OtherBytesBeside", "other bytes become another bundle, and the first keeps its own", checkOtherBytes},
	{"ManifestSum", "a manifest with another sum is CORRUPT and stays unseen", checkManifestSum},
	{"SecondWrite", "a path is written once", checkSecondWrite},
	{"UnknownIDs", "an unknown, finished or aborted id is NOT_FOUND, and Abort forgives it", checkUnknownIDs},
	{"UnknownURIs", "what is not a finished bundle's URI or path is NOT_FOUND and removes nothing", checkUnknownURIs},
	{"Paths", "a path that is not plain is INVALID and leads nowhere", checkPaths},
	{"IDs", "ids of any text name bundles apart and are no path syntax", checkIDs},
	{"Scopes", "List answers one tenant, or one namespace of it, in URI order", checkScopes},
	{"ListMany", "List answers every bundle of many, and stops when it is told", checkListMany},
	{"Abort", "Abort forgets one unfinished bundle and nothing else", checkAbort},
	{"Delete", "Delete removes one bundle and nothing else", checkDelete},
	{"Concurrent", "bundles and files written at the same time do not mix", checkConcurrent},
	{"FailedContent", "a file whose content broke off is no part of the bundle", checkFailedContent},
	{"Cancel", "a cancelled Write returns soon and leaves nothing to see", checkCancel},
	{"Restart", "what was answered survives SIGKILL, what was not is unseen", checkRestart},
	{"KillWhileWriting", "a kill at any moment leaves whole bundles only, every answered one among them", checkKillWhileWriting},
	{"TwoProcesses", "two processes on the same data agree", checkTwoProcesses},
	{"Wire", "messages that break the protocol are refused", checkWire},
}

// processChecks need a process.
var processChecks = []processCheck{
	{"Memory", "the memory of Write and Open does not grow with the file", false, checkMemory},
	{"Durable", "files and directory entries are synced before Finish answers", true, checkDurable},
	{"SyncError", "a bundle whose sync failed is not answered as stored, and neither is a later one on what it left", true, checkSyncError},
}
