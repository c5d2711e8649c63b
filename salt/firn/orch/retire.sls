# Retires the hosts that pillar firn:retired names: the server locks them out, and keeps what they pushed.
#   salt-run state.orchestrate firn.orch.retire pillar='{"server": "backup1"}'
{% set server = pillar['server'] %}

firn_pillar:
  salt.function:
    - name: saltutil.refresh_pillar
    - tgt: {{ server | json }}
    - tgt_type: list
    - kwarg:
        wait: true

firn_server_locks_out:
  salt.state:
    - tgt: {{ server | json }}
    - tgt_type: list
    - sls: firn.backup-server
    - require:
      - salt: firn_pillar
