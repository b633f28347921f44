// A small app of Bolt for JavaScript, for tests/conformance/test_bolt_js.py: it knows nothing but an address, tokens
// and a secret, and must never reach for anything beyond loopback.
//
// It says what it does on standard output, one line each: "ready", then what the last lines print.

'use strict';

const { App, LogLevel } = require('@slack/bolt');

const { SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_APP_TOKEN, SLACK_SIGNING_SECRET, WAY } = process.env;
const clientOptions = { slackApiUrl: SLACK_API_URL, retryConfig: { retries: 0 } };
const common = { token: SLACK_BOT_TOKEN, clientOptions, logLevel: LogLevel.ERROR };
const app = new App(
  WAY === 'http'
    ? { ...common, signingSecret: SLACK_SIGNING_SECRET }
    : { ...common, appToken: SLACK_APP_TOKEN, socketMode: true, installerOptions: { clientOptions } },
);

const plain = (text) => ({ type: 'plain_text', text });
const section = (text) => ({ type: 'section', text: { type: 'mrkdwn', text } });
const say = (line) => process.stdout.write(`${line}\n`);

const modal = (title) => ({
  type: 'modal',
  callback_id: 'ask',
  private_metadata: '17',
  title: plain(title),
  submit: plain('Send'),
  blocks: [
    {
      type: 'input',
      block_id: 'reason',
      label: plain('Reason'),
      element: { type: 'plain_text_input', action_id: 'text' },
    },
  ],
});

app.command('/runbook', async ({ ack, command, client, respond }) => {
  await ack(`started ${command.text}`);
  const go = { type: 'button', action_id: 'go', text: plain('Go'), value: '7' };
  await client.chat.postMessage({
    channel: command.channel_id,
    text: 'Ready?',
    blocks: [{ type: 'actions', elements: [go] }],
    metadata: { event_type: 'runbook', event_payload: { number: 7 } },
  });
  await respond({ text: 'and more', response_type: 'ephemeral' });
});

app.action('go', async ({ ack, body, client }) => {
  await ack();
  const { id: channel } = body.channel;
  await client.chat.update({ channel, ts: body.message.ts, text: 'Gone', blocks: [section('Gone')] });
  await client.views.open({ trigger_id: body.trigger_id, view: modal('Ask') });
});

app.view('ask', async ({ ack, view, client, body }) => {
  const typed = view.state.values.reason.text.value;
  if (typed.length < 4) {
    await ack({ response_action: 'errors', errors: { reason: 'Too short' } });
    return;
  }
  await ack();
  await client.filesUploadV2({ channel_id: 'C0OPS', content: typed, filename: 'reason.txt', title: 'Reason' });
  await client.chat.postEphemeral({ channel: 'C0OPS', user: body.user.id, text: `${view.private_metadata} ${typed}` });
});

app.shortcut('start', async ({ ack, shortcut, client }) => {
  await ack();
  await client.views.open({ trigger_id: shortcut.trigger_id, view: modal('From the shortcut') });
});

app.event('app_home_opened', async ({ event, client }) => {
  await client.views.publish({ user_id: event.user, view: { type: 'home', blocks: [section(`Home of ${event.user}`)] } });
});

app.error(async (error) => say(`error ${error.code} ${error.data ? error.data.error : error.message}`));

app.start(WAY === 'http' ? { port: 0, host: '127.0.0.1' } : undefined).then((server) => {
  say(`ready ${WAY === 'http' ? server.address().port : ''}`);
});
