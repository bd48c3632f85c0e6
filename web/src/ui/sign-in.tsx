/** For whoever is not signed in. */
import { Button, Card, Center, Code, PasswordInput, Stack, Text, Title } from '@mantine/core'
import { type FormEvent, useEffect, useState } from 'react'
import { signIn, signOutNote } from '../session.ts'
import { Problem } from './parts.tsx'

export function SignIn() {
  const [value, setValue] = useState('')
  const note = signOutNote()
  useEffect(() => {
    document.title = 'Sign in · Portage'
  }, [])
  const submit = (event: FormEvent) => {
    event.preventDefault()
    if (value.trim() !== '') {
      signIn(value)
    }
  }
  return (
    <Center component="main" mih="100vh" p="md">
      <Card withBorder padding="xl" maw={480} w="100%">
        <form onSubmit={submit}>
          <Stack>
            <Title order={1}>Portage</Title>
            <Text>Moves data in and out of your CRM, and shows how it goes.</Text>
            {note !== null && <Problem title="Signed out" message={note} />}
            <PasswordInput
              label="Sign-in token or API key"
              description={
                <>
                  Your CRM opens this page with one. Where Portage runs by itself, <Code>npm start</Code> prints a link
                  that signs you in to the demo tenant.
                </>
              }
              value={value}
              onChange={(event) => setValue(event.currentTarget.value)}
              autoComplete="off"
              required
              data-autofocus
            />
            <Button type="submit">Sign in</Button>
          </Stack>
        </form>
      </Card>
    </Center>
  )
}
