/** The frame around every page: where one can go, who is signed in, whether the page is live, and the operations behind it. */
import {
  ActionIcon,
  AppShell,
  Burger,
  Button,
  Group,
  Menu,
  NavLink,
  ScrollArea,
  Text,
  useMantineColorScheme,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { type ReactNode, useEffect } from 'react'
import { Link, useLocation } from 'wouter'
import { useConnection } from '../api/client.ts'
import { signOut } from '../session.ts'
import { ApiDrawer } from './api-drawer.tsx'
import * as icons from './icons.tsx'
import { Tag } from './parts.tsx'
import { needs, type Permission } from './permission-words.ts'
import { Toasts } from './toasts.tsx'
import { useMay, useViewer } from './viewer.tsx'

interface Place {
  readonly href: string
  readonly label: string
  readonly icon: ReactNode
  /** Whoever has none of them is not led there. */
  readonly needs?: readonly Permission[]
}

const places: readonly Place[] = [
  { href: '/', label: 'Home', icon: <icons.HomeIcon /> },
  { href: '/console/import', label: 'New import', icon: <icons.ImportIcon />, needs: needs.import },
  { href: '/console/runs', label: 'Runs', icon: <icons.RunsIcon />, needs: needs.runs },
  { href: '/console/exports', label: 'Exports', icon: <icons.ExportIcon />, needs: needs.exports },
  { href: '/console/migrations', label: 'Migrations', icon: <icons.MoveIcon />, needs: needs.migrations },
  { href: '/console/records', label: 'Records', icon: <icons.RecordsIcon />, needs: needs.records },
  { href: '/console/duplicates', label: 'Duplicates', icon: <icons.DuplicatesIcon />, needs: needs.records },
  { href: '/console/templates', label: 'Templates and fields', icon: <icons.TemplatesIcon /> },
  { href: '/console/audit', label: 'Audit', icon: <icons.AuditIcon />, needs: needs.audit },
  { href: '/console/settings', label: 'Settings', icon: <icons.SettingsIcon /> },
]

export function Frame({ children }: { readonly children: ReactNode }) {
  const [menuOpen, menu] = useDisclosure()
  const [apiOpen, api] = useDisclosure()
  const [location] = useLocation()
  const viewer = useViewer()
  const may = useMay()
  const close = menu.close
  useEffect(close, [location, close])
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 232, breakpoint: 'sm', collapsed: { mobile: !menuOpen } }}
      padding={{ base: 'md', sm: 'lg' }}
    >
      <a className="skip-link" href="#page">
        Skip to the page
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap" gap="xs">
          <Group gap="sm" wrap="nowrap" miw={0}>
            <Burger
              opened={menuOpen}
              onClick={menu.toggle}
              hiddenFrom="sm"
              size="sm"
              aria-label={menuOpen ? 'Close the menu' : 'Open the menu'}
            />
            <Text fw={700} fz="lg" style={{ flexShrink: 0 }}>
              Portage
            </Text>
            <Text c="dimmed" truncate visibleFrom="xs">
              {viewer.tenantName}
            </Text>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Live />
            <Button
              variant="default"
              size="xs"
              px={10}
              leftSection={<icons.CodeIcon />}
              onClick={api.open}
              style={{ flexShrink: 0 }}
            >
              API
            </Button>
            <SchemeSwitch />
            <Menu position="bottom-end">
              <Menu.Target>
                <Button variant="subtle" size="xs" px={8} maw={200} aria-label={`Signed in as ${viewer.actor}`}>
                  <Text size="xs" truncate visibleFrom="sm">
                    {viewer.actor}
                  </Text>
                  <Text size="xs" hiddenFrom="sm" component="span">
                    <icons.RecordsIcon />
                  </Text>
                </Button>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Label>
                  {viewer.actor}, {viewer.tenantName}
                </Menu.Label>
                <Menu.Item component={Link} href="/console/settings">
                  Settings
                </Menu.Item>
                <Menu.Item onClick={() => signOut()}>Sign out</Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar aria-label="Pages" p="xs" component="nav">
        <AppShell.Section grow component={ScrollArea}>
          {places
            .filter((place) => place.needs?.some(may) ?? true)
            .map(({ href, label, icon }) => (
              <NavLink
                key={href}
                component={Link}
                href={href}
                label={label}
                leftSection={icon}
                active={href === '/' ? location === '/' : location.startsWith(href)}
                aria-current={location === href ? 'page' : undefined}
              />
            ))}
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main id="page" tabIndex={-1}>
        {children}
      </AppShell.Main>
      <ApiDrawer opened={apiOpen} onClose={api.close} />
      <Toasts />
    </AppShell>
  )
}

/** Says whether what is shown moves by itself. */
function Live() {
  const connection = useConnection()
  if (connection === 'idle') {
    return null
  }
  return (
    <span role="status" data-connection={connection}>
      <Tag color={connection === 'open' ? 'green' : 'orange'}>{connection === 'open' ? 'Live' : 'Reconnecting'}</Tag>
    </span>
  )
}

function SchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="default" size={30} aria-label="Light or dark">
          <icons.SunIcon />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        {(['auto', 'light', 'dark'] as const).map((scheme) => (
          <Menu.Item
            key={scheme}
            onClick={() => setColorScheme(scheme)}
            rightSection={colorScheme === scheme ? <icons.CheckIcon /> : null}
          >
            {scheme === 'auto' ? 'As the system' : scheme === 'light' ? 'Light' : 'Dark'}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}
