#!/usr/bin/env bash
# Imports a file with curl, waits for the end and reads the issues. Needs curl, and node to write and read JSON.
#
#   export PORTAGE_TOKEN=...                      # a sign-in token; `npm start` prints one
#   examples/import.sh examples/contacts.csv CONTACT
#
# Exit codes: 0 completed, 2 completed with errors, 1 anything else.
set -euo pipefail

file=${1:-examples/contacts.csv}
type=${2:-CONTACT}
api="${PORTAGE_URL:-http://127.0.0.1:4000}/graphql"
: "${PORTAGE_TOKEN:?is not set: it is the sign-in token}"

# get PATH: reads JSON from standard input and prints what stands at PATH, e.g. data.run.status; nothing for null.
get() {
  node -e '
    const answer = JSON.parse(require("node:fs").readFileSync(0, "utf8"))
    if (answer.errors) { console.error(answer.errors.map((error) => error.message).join("\n")); process.exit(1) }
    const value = process.argv[1].split(".").reduce((part, name) => part?.[name], answer)
    if (value != null) console.log(typeof value === "object" ? JSON.stringify(value) : value)' "$1"
}

# ask QUERY ID: runs a query about the run ID and prints the answer.
ask() {
  node -p 'JSON.stringify({ query: process.argv[1], variables: { id: process.argv[2] } })' "$1" "$2" |
    curl -sS "$api" -H "authorization: Bearer $PORTAGE_TOKEN" -H 'content-type: application/json' --data-binary @-
}

# 1. Upload and start, in one request: a GraphQL multipart request. The header keeps web pages of others out.
#    Keep the key if you may have to send the request again: the same key with the same input never imports twice.
key=${IDEMPOTENCY_KEY:-$(node -p 'crypto.randomUUID()')}
operations=$(node -p '
  JSON.stringify({
    query: `mutation ($input: ImportCreateInput!) {
      importCreate(input: $input) { importRun { id } userErrors { code message } }
    }`,
    variables: {
      input: { file: null, recordType: process.argv[1], confirmation: "ALWAYS", idempotencyKey: process.argv[2] },
    },
  })' "$type" "$key")
started=$(curl -sS "$api" -H "authorization: Bearer $PORTAGE_TOKEN" -H 'apollo-require-preflight: true' \
  -F operations="$operations" -F map='{"0":["variables.input.file"]}' -F "0=@$file")
run=$(get data.importCreate.importRun.id <<<"$started")
if [ -z "$run" ]; then
  echo "The import was refused: $(get data.importCreate.userErrors <<<"$started")" >&2
  exit 1
fi
echo "Started $run"

# 2. Wait for the end. (examples/import.ts watches live, over a socket.)
while :; do
  answer=$(ask 'query ($id: ID!) { run(id: $id) { status statusReason { message } counts { read total } } }' "$run")
  status=$(get data.run.status <<<"$answer")
  echo "$status, $(get data.run.counts.read <<<"$answer") rows read"
  case $status in
    COMPLETED | COMPLETED_WITH_ERRORS) break ;;
    FAILED | CANCELED | EXPIRED | AWAITING_MAPPING)
      get data.run.statusReason.message <<<"$answer" >&2
      exit 1
      ;;
  esac
  sleep 0.5
done

# 3. What became of the rows, and what is wrong with those that failed.
report=$(ask 'query ($id: ID!) { importRun(id: $id) {
  counts { total created updated unchanged skipped failed }
  issueGroups { code column count message }
  issues(first: 5) { totalCount nodes { rowNumber column code value message } }
  files { kind name url }
} }' "$run")
echo "Counts: $(get data.importRun.counts <<<"$report")"
echo "Issues by kind: $(get data.importRun.issueGroups <<<"$report")"
echo "First issues: $(get data.importRun.issues.nodes <<<"$report")"

# 4. The failed rows come back as a file that can be corrected and imported again. Its address needs no token.
failed=$(get data.importRun.files <<<"$report" |
  node -p 'JSON.parse(require("node:fs").readFileSync(0, "utf8")).find(({ kind }) => kind === "FAILED_ROWS")?.url ?? ""')
if [ -n "$failed" ]; then
  echo 'Failed rows:'
  curl -sS "$failed"
fi
[ "$status" = COMPLETED ] || exit 2
