// Package platform reads facts about this host and judges none of them.
package platform
