// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package bridge

// furnishDoors shuts the doors that mounts shut. It is called in the sandbox's mount
// namespace, by its first process, with CAP_SYS_ADMIN there.
func furnishDoors(p params) error { return unsetHostVariables(p) }
