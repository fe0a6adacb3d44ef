# Script checks of Nomad and Consul take 1 for a warning and only other values for critical: hence --exit nagios.
job "app" {
  group "app" {
    network {
      mode = "bridge"
    }

    task "app" {
      driver = "docker"

      config {
        image        = "registry.example/app:1" # with /lping in it; Nomad pulls what has no tag, or latest, every time
        cap_drop     = ["all"]
        security_opt = ["no-new-privileges"]
        sysctl = {
          "net.ipv4.ping_group_range" = "0 2147483647"
        }
      }
    }

    service {
      name = "app"

      check {
        name     = "loopback"
        type     = "script"
        task     = "app"
        command  = "/lping"
        args     = ["--format", "line", "--exit", "nagios"]
        interval = "30s"
        timeout  = "2s"
      }
    }
  }
}
