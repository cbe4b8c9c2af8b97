// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import _ "embed"

//go:embed report.schema.json
var schemaText string

// Schema returns the JSON schema (draft 2020-12) of report.json. It allows fields it does not name, so that
// a reader of version 1 can read what later versions of the suite add.
func Schema() string { return schemaText }
