/** The operations that this page has just used, ready to be copied: whoever builds on the API begins here. */
import { Box, Button, CopyButton, Drawer, Group, NavLink, SegmentedControl, Stack, Text } from '@mantine/core'
import { useState } from 'react'
import { type Recorded, useRecorded } from '../api/recorder.ts'
import { Empty } from './parts.tsx'

type Language = 'curl' | 'typescript' | 'python'

export function ApiDrawer({ opened, onClose }: { readonly opened: boolean; readonly onClose: () => void }) {
  const recorded = useRecorded()
  const [language, setLanguage] = useState<Language>('curl')
  const [name, setName] = useState<string | null>(null)
  const chosen = recorded.find((each) => each.name === name) ?? recorded[0]
  return (
    <Drawer
      opened={opened}
      onClose={onClose}
      position="right"
      size="lg"
      title="What this page asked the API"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {chosen === undefined ? (
        <Empty title="Nothing yet">This page has not asked for anything.</Empty>
      ) : (
        <Stack>
          <Text size="sm" c="dimmed">
            Everything that the console does, it does with these operations. They are all in the public API.
          </Text>
          <Box component="nav" aria-label="Operations">
            {recorded.map((each) => (
              <NavLink
                key={each.name}
                component="button"
                label={each.name}
                description={each.kind}
                active={each === chosen}
                onClick={() => setName(each.name)}
              />
            ))}
          </Box>
          <Group justify="space-between">
            <SegmentedControl
              aria-label="Language"
              value={language}
              onChange={(value) => setLanguage(value as Language)}
              data={[
                { value: 'curl', label: 'curl' },
                { value: 'typescript', label: 'TypeScript' },
                { value: 'python', label: 'Python' },
              ]}
            />
            <CopyButton value={snippet(chosen, language, location.origin)}>
              {({ copied, copy }) => (
                <Button variant="default" onClick={copy}>
                  {copied ? 'Copied' : 'Copy'}
                </Button>
              )}
            </CopyButton>
          </Group>
          <pre className="code-block" tabIndex={0} aria-label="The operation as code">
            {snippet(chosen, language, location.origin)}
          </pre>
        </Stack>
      )}
    </Drawer>
  )
}

/** An operation as a program that runs as it is, once PORTAGE_TOKEN is set. */
export function snippet({ kind, text, variables }: Recorded, language: Language, origin: string): string {
  const body = { query: text, variables }
  if (kind === 'subscription') {
    return ofSubscription({ text, variables }, language, origin)
  }
  switch (language) {
    case 'curl':
      return [
        `curl -s ${origin}/graphql \\`,
        `  -H "authorization: Bearer $PORTAGE_TOKEN" -H 'content-type: application/json' \\`,
        `  -d @- <<'JSON'`,
        JSON.stringify(body, null, 2),
        'JSON',
      ].join('\n')
    case 'typescript':
      return [
        `const response = await fetch('${origin}/graphql', {`,
        `  method: 'POST',`,
        '  headers: { authorization: `Bearer ${process.env.PORTAGE_TOKEN}`, "content-type": "application/json" },',
        '  body: JSON.stringify({',
        `    query: ${template(text)},`,
        `    variables: ${JSON.stringify(variables, null, 2).replaceAll('\n', '\n    ')},`,
        '  }),',
        '})',
        'const { data, errors } = await response.json()',
        'console.log(JSON.stringify(errors ?? data, null, 2))',
      ].join('\n')
    case 'python':
      return [
        'import json, os, urllib.request',
        '',
        'request = urllib.request.Request(',
        `    "${origin}/graphql",`,
        '    headers={"authorization": f"Bearer {os.environ[\'PORTAGE_TOKEN\']}", "content-type": "application/json"},',
        `    data=json.dumps({"query": """${text.replaceAll('"""', '\\"""')}""", "variables": json.loads(r"""${JSON.stringify(variables)}""")}).encode(),`,
        ')',
        'print(json.dumps(json.load(urllib.request.urlopen(request)), indent=2))',
      ].join('\n')
  }
}

function ofSubscription(
  { text, variables }: Pick<Recorded, 'text' | 'variables'>,
  language: Language,
  origin: string,
): string {
  const socket = `${origin.replace(/^http/, 'ws')}/graphql`
  const payload = JSON.stringify({ query: text, variables }, null, 2)
  switch (language) {
    case 'curl':
      return [
        '# A subscription needs a WebSocket; with websocat (https://github.com/vi/websocat):',
        '{',
        `  printf '{"type":"connection_init","payload":{"authorization":"Bearer %s"}}\\n' "$PORTAGE_TOKEN"`,
        `  printf '%s\\n' '${JSON.stringify({ id: '1', type: 'subscribe', payload: { query: text.replaceAll(/\s+/g, ' '), variables } }).replaceAll("'", "'\\''")}'`,
        '  cat',
        `} | websocat -H 'sec-websocket-protocol: graphql-transport-ws' ${socket}`,
      ].join('\n')
    case 'typescript':
      return [
        "import { createClient } from 'graphql-ws'",
        '',
        'const client = createClient({',
        `  url: '${socket}',`,
        '  connectionParams: { authorization: `Bearer ${process.env.PORTAGE_TOKEN}` },',
        '})',
        `const payload = ${payload}`,
        'for await (const { data } of client.iterate(payload)) {',
        '  console.log(data)',
        '}',
      ].join('\n')
    case 'python':
      return [
        '# pip install "gql[websockets]"',
        'import os',
        'from gql import Client, gql',
        'from gql.transport.websockets import WebsocketsTransport',
        '',
        'transport = WebsocketsTransport(',
        `    url="${socket}", subprotocols=["graphql-transport-ws"],`,
        '    init_payload={"authorization": f"Bearer {os.environ[\'PORTAGE_TOKEN\']}"},',
        ')',
        'with Client(transport=transport) as client:',
        `    for event in client.subscribe(gql("""${text}"""), variable_values=${pythonOf(variables)}):`,
        '        print(event)',
      ].join('\n')
  }
}

function template(text: string): string {
  return `\`${text.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${')}\``
}

/** A value as Python writes it; only null, true and false differ from JSON. */
function pythonOf(value: unknown): string {
  if (value === null || value === undefined) {
    return 'None'
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False'
  }
  if (Array.isArray(value)) {
    return `[${value.map(pythonOf).join(', ')}]`
  }
  if (typeof value === 'object') {
    return `{${Object.entries(value)
      .map(([key, each]) => `${JSON.stringify(key)}: ${pythonOf(each)}`)
      .join(', ')}}`
  }
  return JSON.stringify(value)
}
