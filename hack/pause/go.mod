module reco.dev/pause

go 1.26
