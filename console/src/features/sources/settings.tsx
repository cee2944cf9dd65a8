import type { Source } from '@oaas/commons/client/pm';
import { CopyButton } from '../../ui/copy.tsx';
import { Facts, Panel } from '../../ui/panel.tsx';
import { Ago } from '../../ui/time.tsx';
import { ConditionList } from '../deployments/conditions.tsx';
import { refText } from './source.ts';

const authWords = { none: 'none', basic: 'user and password', bearer: 'bearer token' };

export function SettingsView({ source }: { readonly source: Source }) {
  return (
    <div className="grid grid-cols-2 items-start gap-5 max-lg:grid-cols-1">
      <Panel title="Conditions" flush>
        <ConditionList conditions={source.conditions} />
      </Panel>
      <Panel title="Settings">
        <Facts
          facts={[
            { name: 'Repository', value: source.url },
            { name: 'Follows', value: refText(source.ref) },
            { name: 'Folder', value: source.path === '' ? 'whole repository' : source.path },
            { name: 'Poll', value: `every ${source.interval_seconds} s, gives up after ${source.timeout_seconds} s` },
            {
              name: 'Next check',
              value: source.next_check_at === null ? 'none planned' : <Ago at={source.next_check_at} />,
            },
            {
              name: 'Prune',
              value:
                source.prune === 'keep'
                  ? 'leave running what left Git'
                  : 'remove what left Git, unless it holds objects',
            },
            {
              name: 'Authentication',
              value:
                source.auth_username === null
                  ? authWords[source.auth_type]
                  : `${authWords[source.auth_type]}, as ${source.auth_username}`,
            },
            {
              name: 'Webhook',
              value: (
                <span className="inline-flex flex-wrap items-center gap-1">
                  <code className="text-xs">{source.webhook.path}</code>
                  <CopyButton text={source.webhook.path} label="Copy the webhook's path" />
                  <span className="text-ink-2">
                    {source.webhook.secret_set ? (
                      <>
                        last delivery <Ago at={source.webhook.last_delivery_at} />
                      </>
                    ) : (
                      'refused: no secret is set'
                    )}
                  </span>
                </span>
              ),
            },
            { name: 'Created', value: <Ago at={source.created_at} /> },
            { name: 'Changed', value: <Ago at={source.updated_at} /> },
          ]}
        />
      </Panel>
    </div>
  );
}
