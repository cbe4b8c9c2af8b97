// Copyright 2026 The Sallyport Authors
// SPDX-License-Identifier: Apache-2.0

package proxycore

import (
	"encoding/json"
	"testing"
	"time"
)

func TestRecordJSON(t *testing.T) {
	t.Parallel()
	r := Record{
		Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("x", 3600)), Sandbox: "a\x1b\n", Client: "127.0.0.1:9", Method: "CONNECT",
		Host: "a.com", Port: 443, Address: "1.2.3.4:443",
		Upstream: "http://proxy.corp:3128", UpstreamStatus: 200, Decision: DecisionAllow, Rule: "a.com",
		BytesUp: 1, BytesDown: 2, Duration: 1500 * time.Millisecond,
	}
	got, err := json.Marshal(r)
	want := `{"time":"2026-01-02T02:04:05.006Z","sandbox":"a\u001b\n","client":"127.0.0.1:9","method":"CONNECT","host":"a.com","port":443,` +
		`"address":"1.2.3.4:443","upstream":"http://proxy.corp:3128","upstream_status":200,"decision":"allow","reason":"","rule":"a.com","bytes_up":1,"bytes_down":2,"duration":1.5}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}
